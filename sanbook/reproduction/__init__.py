"""Our numbers beside the published ones: criteria, reference results and causes."""
