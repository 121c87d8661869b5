"""Many photos: a journal, the run on one machine, over Ray and from a watched folder, places that are URLs."""
