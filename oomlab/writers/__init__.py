"""The only room that changes the machine: it writes oom_score_adj, and its undo file first."""
