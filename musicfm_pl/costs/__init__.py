"""What training costs: arithmetic, memory, time; counted before anything is trained."""
