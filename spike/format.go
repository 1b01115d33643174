package spike

func formatArray(v []float64, columns int, integer bool) string { return "" }
