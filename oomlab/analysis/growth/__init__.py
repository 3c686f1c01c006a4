"""Does it grow, how, and until when: samples of memory over time, judged."""
