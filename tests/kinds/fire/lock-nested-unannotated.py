from kmock.linux.mutex import mutex, mutex_init, mutex_lock, mutex_unlock


def program(k):
    nodes = [mutex(), mutex()]
    for node in nodes:
        mutex_init(node)
    mutex_lock(nodes[0])
    mutex_lock(nodes[1])  # here
    mutex_unlock(nodes[1])
    mutex_unlock(nodes[0])
