from kmock.linux.sched.mm import memalloc_nofs_restore, memalloc_nofs_save, memalloc_noio_restore, memalloc_noio_save


def program(k):
    noio = memalloc_noio_save()
    nofs = memalloc_nofs_save()
    memalloc_noio_restore(noio)  # here
    memalloc_nofs_restore(nofs)
