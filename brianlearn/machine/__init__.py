"""What this machine has: devices, compilers, cores, versions; folders and processes that outlive nobody."""
