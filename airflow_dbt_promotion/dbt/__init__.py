"""dbt at the edge: its files become core values, its commands are run here and nowhere else."""
