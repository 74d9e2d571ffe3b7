"""What results say and how surely: intervals, paired tests, the study's conclusions, shares of variance."""
