"""Speed as ratios against a baseline in the same run; `nox -s bench` prints the table.

Machines are shared and noisy, so a figure of its own means little: each subject alternates with its
baseline, and the median ratio is what counts.
"""
