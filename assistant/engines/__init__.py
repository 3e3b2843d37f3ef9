"""The engines that write an answer from numbered passages: one contract, several ways to run."""
