"""Stage `audit`: does the network rely on the lungs, and are images that are not chest X-rays detected?"""
