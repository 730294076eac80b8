from kmock.linux.completion import DECLARE_COMPLETION, complete, wait_for_completion
from kmock.linux.kthread import kthread_run


def good(k):
    done = DECLARE_COMPLETION("done")
    kthread_run(lambda data: complete(done), None, "other")
    wait_for_completion(done)
