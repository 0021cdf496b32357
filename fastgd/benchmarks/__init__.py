"""The workloads fastgd is measured on, the tools it is measured against, and the stopwatch."""
