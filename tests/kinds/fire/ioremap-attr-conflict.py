from kmock.linux.io import ioremap_wc, ioremap_wt, iounmap


def program(k):
    frame_buffer = ioremap_wc(0xF000_0000, 0x1000)
    assert not ioremap_wt(0xF000_0000, 0x1000)  # here
    iounmap(frame_buffer)
