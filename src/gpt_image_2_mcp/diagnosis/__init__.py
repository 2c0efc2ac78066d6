"""What `doctor` looks at: checks that read and ask, pay nothing, and end in findings with their remedies."""
