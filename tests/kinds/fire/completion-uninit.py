from kmock.linux.completion import complete, completion


def program(k):
    done = completion()
    complete(done)  # here
