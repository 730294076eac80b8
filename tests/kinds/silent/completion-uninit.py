from kmock.linux.completion import complete, completion, init_completion


def good(k):
    done = completion()
    init_completion(done)
    complete(done)
