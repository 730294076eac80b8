from kmock.linux.rwsem import DECLARE_RWSEM, down_read, down_write, downgrade_write, up_read


def good(k):
    sem = DECLARE_RWSEM("sem")
    down_read(sem)
    up_read(sem)
    down_write(sem)
    downgrade_write(sem)
    up_read(sem)
