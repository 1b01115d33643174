dat_path = r'C:\data\rec.dat'  # sample_rate = 1
n_channels_dat = 385
dtype = 'int16'
offset = 0
sample_rate = 30000.
hp_filtered = False
