"""Other skills of a model, such as arithmetic: does training for factuality cost any of them?"""
