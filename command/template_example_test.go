package command_test

import (
	"fmt"

	"github.com/parade-go/parade/command"
)

func ExampleParseTemplate() {
	subjects, _ := command.Words([]string{"sub 1.nii.gz", "sub2.nii.gz"}, command.Format{})
	widths, _ := command.Words([]string{"4", "6"}, command.Format{})
	template, err := command.ParseTemplate([]string{"3dBlurToFWHM", "-input", "{1}", "-FWHM", "{2}", "-prefix", "out/{1..}-{2}.nii.gz"}, false, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for in, err := range command.Product(subjects, widths).Inputs() {
		if err != nil {
			fmt.Println(err)
			return
		}
		argv, err := template.Expand(in, command.Values{Slot: 1})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(in.Seq, command.Line(argv))
	}
	// Output:
	// 1 3dBlurToFWHM -input 'sub 1.nii.gz' -FWHM 4 -prefix 'out/sub 1-4.nii.gz'
	// 2 3dBlurToFWHM -input 'sub 1.nii.gz' -FWHM 6 -prefix 'out/sub 1-6.nii.gz'
	// 3 3dBlurToFWHM -input sub2.nii.gz -FWHM 4 -prefix out/sub2-4.nii.gz
	// 4 3dBlurToFWHM -input sub2.nii.gz -FWHM 6 -prefix out/sub2-6.nii.gz
}

// A command in one string is the shell's, and its inputs are quoted for the place
// where they stand.
func ExampleTemplate_Expand() {
	template, _ := command.ParseTemplate([]string{`grep -c "^{2}" {1} > {1/.}.count`}, false, nil)
	argv, _ := template.Expand(command.Input{Seq: 1, Args: []string{"my data/d'Arc.txt", `$5 "x"`}}, command.Values{})
	fmt.Println(command.Line(argv))
	// Output:
	// grep -c "^\$5 \"x\"" 'my data/d'"'"'Arc.txt' > 'd'"'"'Arc'.count
}
