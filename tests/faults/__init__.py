"""The bench of faults: whatever breaks between a paid call and its picture, the standing checks hold."""
