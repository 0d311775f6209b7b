"""How players find the tuner without being told its address: HDHomeRun's port 65001, and SSDP."""
