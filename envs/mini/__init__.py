"""Small sisters of travel and search, which a policy of a few million parameters learns on a CPU in minutes.

Short prompts, few tools, one fitting answer: the quickstart, the recipes and the tests train on them.
"""
