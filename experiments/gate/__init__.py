"""The whole-strategy gate: may a candidate's models, policy and catalogue take over from the champion's?"""
