"""What goes into a network and what comes out: values, events, spikes at times, rasters."""
