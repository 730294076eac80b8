from kmock.linux.smp import get_cpu, put_cpu, smp_processor_id


def good(k):
    get_cpu()
    smp_processor_id()
    put_cpu()
