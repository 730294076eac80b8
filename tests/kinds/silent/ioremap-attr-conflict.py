from kmock.linux.io import ioremap_wc, iounmap


def program(k):
    frame_buffer = ioremap_wc(0xF000_0000, 0x1000)
    again = ioremap_wc(0xF000_0000, 0x1000)
    iounmap(again)
    iounmap(frame_buffer)
