"""What players see: an HDHomeRun tuner's HTTP face, and the streams themselves."""
