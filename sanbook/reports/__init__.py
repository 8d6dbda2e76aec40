"""What each page computes and says."""
