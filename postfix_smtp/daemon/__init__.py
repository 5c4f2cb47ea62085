"""What master(8) expects of a process: options, inherited descriptors, status messages, limits, privileges, logging."""
