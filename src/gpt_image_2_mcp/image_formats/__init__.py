"""Picture files as containers: walked, judged and cleaned in pure Python, before and without any decoder."""
