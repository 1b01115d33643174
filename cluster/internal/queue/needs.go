package queue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Needs are what a queue requires of an engine: labels that it has, and of its resources an
// amount for each parcel that runs.
type Needs struct {
	Labels  []string
	Amounts map[string]int64
}

// units are the powers of 1024 that may follow the number of an amount.
const units = "KMGT"

// ParseNeeds reads what stands in a record: "gpu" is a label, "mem=8G" a resource.
func ParseNeeds(requires []string) (n Needs, err error) {
	for _, text := range requires {
		name, amount, isResource := strings.Cut(text, "=")
		if err := Valid(name); err != nil {
			return n, fmt.Errorf("requirement %q: %w", text, err)
		}
		if !isResource {
			n.Labels = append(n.Labels, name)
			continue
		}
		if n.Amounts == nil {
			n.Amounts = map[string]int64{}
		}
		if err := addAmount(n.Amounts, name, amount); err != nil {
			return n, fmt.Errorf("requirement %q: %w", text, err)
		}
	}
	return n, nil
}

// ParseResources reads what an engine has, such as "mem=64G".
func ParseResources(resources []string) (map[string]int64, error) {
	all := map[string]int64{}
	for _, text := range resources {
		name, amount, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("resource %q: write its amount, such as mem=64G", text)
		}
		if err := Valid(name); err != nil {
			return nil, fmt.Errorf("resource %q: %w", text, err)
		}
		if err := addAmount(all, name, amount); err != nil {
			return nil, fmt.Errorf("resource %q: %w", text, err)
		}
	}
	return all, nil
}

func addAmount(to map[string]int64, name, text string) error {
	if _, twice := to[name]; twice {
		return fmt.Errorf("%s is named twice", name)
	}
	number, factor := text, 1.0
	if text != "" {
		if i := strings.IndexByte(units, text[len(text)-1]); i >= 0 {
			number, factor = text[:len(text)-1], float64(int64(1)<<(10*(i+1)))
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if f *= factor; err != nil || !(f >= 1) || f >= 1<<62 || factor == 1 && f != float64(int64(f)) {
		return fmt.Errorf("%q is no amount: write a number from 1 on, such as 4, 500M or 1.5G", text)
	}
	to[name] = int64(f)
	return nil
}

// Amount is an amount as one writes it.
func Amount(n int64) string {
	unit := ""
	for _, u := range units {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, string(u)
	}
	return strconv.FormatInt(n, 10) + unit
}

// Tasks is how many parcels with these needs an engine runs at a time that has the given
// slots, labels and resources.
func (n Needs) Tasks(slots int, labels []string, resources map[string]int64) int {
	for _, l := range n.Labels {
		if !slices.Contains(labels, l) {
			return 0
		}
	}
	tasks := int64(slots)
	for name, amount := range n.Amounts {
		tasks = min(tasks, resources[name]/amount)
	}
	return int(tasks)
}

// Fit reports whether the amounts are there.
func (n Needs) Fit(free map[string]int64) bool {
	for name, amount := range n.Amounts {
		if free[name] < amount {
			return false
		}
	}
	return true
}

// Contend reports whether two need the same resource.
func (n Needs) Contend(other Needs) bool {
	for name := range n.Amounts {
		if _, both := other.Amounts[name]; both {
			return true
		}
	}
	return false
}
