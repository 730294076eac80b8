from kmock.linux.rwsem import DECLARE_RWSEM, down_read, up_write


def program(k):
    sem = DECLARE_RWSEM("sem")
    down_read(sem)
    up_write(sem)  # here
