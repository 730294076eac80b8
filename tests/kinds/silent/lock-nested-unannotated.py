from kmock.linux.lockdep import SINGLE_DEPTH_NESTING
from kmock.linux.mutex import mutex, mutex_init, mutex_lock, mutex_lock_nested, mutex_unlock


def good(k):
    nodes = [mutex(), mutex()]
    for node in nodes:
        mutex_init(node)
    mutex_lock(nodes[0])
    mutex_lock_nested(nodes[1], SINGLE_DEPTH_NESTING)
    mutex_unlock(nodes[1])
    mutex_unlock(nodes[0])
