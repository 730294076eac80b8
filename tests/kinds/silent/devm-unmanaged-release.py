from kmock.linux.device import devm_add_action, devm_kfree, devm_kmalloc, devm_release_action, devm_remove_action
from kmock.linux.slab import GFP_KERNEL


def program(k):
    mine, other = k.device("mine"), k.device("other")
    p = devm_kmalloc(mine, 64, GFP_KERNEL)
    devm_kmalloc(other, 64, GFP_KERNEL)
    devm_kfree(mine, p)
    seen = []
    devm_add_action(mine, seen.append, "a")
    devm_add_action(mine, seen.append, "a")
    devm_release_action(mine, seen.append, "a")
    devm_remove_action(mine, seen.append, "a")
    assert seen == ["a"]
