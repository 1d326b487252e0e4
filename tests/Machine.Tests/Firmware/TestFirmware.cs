// Firmware of a few bytes that shows what a machine gives to firmware. It counts its starts in CMOS RAM, finds its copy below 1 MiB as it
// was made each time, though it writes to it, waits for a character on the serial port, and resets the machine in two ways; the
// third time it ends the machine with the first byte that the configuration device gives, which is a Q.
namespace Lamina.Tests.Machines.Firmware;

internal static class TestFirmware
{
    internal const int Success = ('Q' << 1) | 1, Failure = (0x7f << 1) | 1;

    private const int Length = 64 << 10, ResetVector = Length - 16;

    // 16-bit code at F000:0000.
    private static readonly byte[] Code =
    [
        0xB0, 0x40,                         //       mov al, 40h
        0xE6, 0x70,                         //       out 70h, al
        0xE4, 0x71,                         //       in al, 71h
        0xFE, 0xC0,                         //       inc al
        0x88, 0xC4,                         //       mov ah, al
        0xB0, 0x40,                         //       mov al, 40h
        0xE6, 0x70,                         //       out 70h, al
        0x88, 0xE0,                         //       mov al, ah
        0xE6, 0x71,                         //       out 71h, al
        0x2E, 0x80, 0x3E, 0x00, 0x10, 0x00, //       cmp byte [cs:1000h], 0
        0x75, 0x40,                         //       jne fail
        0x2E, 0xC6, 0x06, 0x00, 0x10, 0x55, //       mov byte [cs:1000h], 55h
        0x2E, 0x80, 0x3E, 0x00, 0x10, 0x55, //       cmp byte [cs:1000h], 55h
        0x75, 0x32,                         //       jne fail
        0x80, 0xFC, 0x01,                   //       cmp ah, 1
        0x75, 0x14,                         //       jne next
        0xBA, 0xFD, 0x03,                   //       mov dx, 3FDh
        0xEC,                               // wait: in al, dx
        0xA8, 0x01,                         //       test al, 1
        0x74, 0xFB,                         //       jz wait
        0xB2, 0xF8,                         //       mov dl, 0F8h
        0xEC,                               //       in al, dx
        0xBA, 0xF9, 0x0C,                   //       mov dx, 0CF9h
        0xB0, 0x06,                         //       mov al, 6
        0xEE,                               //       out dx, al
        0xF4, 0xEB, 0xFD,                   //       hlt; jmp $ - 1
        0x80, 0xFC, 0x02,                   // next: cmp ah, 2
        0x75, 0x07,                         //       jne last
        0xB0, 0x01,                         //       mov al, 1
        0xE6, 0x92,                         //       out 92h, al
        0xF4, 0xEB, 0xFD,                   //       hlt; jmp $ - 1
        0xBA, 0x10, 0x05,                   // last: mov dx, 510h
        0x31, 0xC0,                         //       xor ax, ax
        0xEF,                               //       out dx, ax
        0x42,                               //       inc dx
        0xEC,                               //       in al, dx
        0xE6, 0xF4,                         //       out 0F4h, al
        0xF4, 0xEB, 0xFD,                   //       hlt; jmp $ - 1
        0xB0, 0x7F,                         // fail: mov al, 7Fh
        0xE6, 0xF4,                         //       out 0F4h, al
        0xF4, 0xEB, 0xFD,                   //       hlt; jmp $ - 1
    ];

    /// <summary>The image.</summary>
    internal static byte[] Image => Make(Code);

    /// <summary>An image of any length that ends the machine as a failure at once.</summary>
    internal static byte[] Other(int length) => [.. new byte[length - Length], .. Make([0xB0, 0x7F, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD])];

    private static byte[] Make(byte[] code)
    {
        var image = new byte[Length];
        code.CopyTo(image, 0);
        new byte[] { 0xEA, 0x00, 0x00, 0x00, 0xF0 }.CopyTo(image, ResetVector);     // jmp F000:0000
        return image;
    }
}
