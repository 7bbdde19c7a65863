"""What `maskdpo show` prints and draws: marked sentences, evidence, pairs; terminal and HTML."""
