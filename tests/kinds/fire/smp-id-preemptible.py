from kmock.linux.smp import smp_processor_id


def program(k):
    smp_processor_id()  # here
