"""Stage `audit`: does the network read lungs, and are images noticed that are no chest X-ray?"""
