from kmock.linux.completion import DECLARE_COMPLETION, wait_for_completion


def program(k):
    done = DECLARE_COMPLETION("done")
    wait_for_completion(done)  # here
