sample_rate = 25_000
