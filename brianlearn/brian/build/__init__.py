"""From a plan to Brian2 objects: populations, projections, error paths, schedules, recordings."""
