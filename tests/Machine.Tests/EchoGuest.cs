// A guest of a few bytes that answers on the serial port as a shell would: it prints "# ", repeats what is typed, and
// answers each line with "Lamina". A flat Multiboot image, so that it shows boot, execution, output and input at once.
using Lamina.Tests.Machines.Boot;

namespace Lamina.Tests.Machines;

internal static class EchoGuest
{
    // 32-bit code at 0x200040, behind the Multiboot header. The stack is the loader's.
    private static readonly byte[] Code =
    [
        0xBA, 0xF8, 0x03, 0x00, 0x00,   //        mov edx, 0x3F8     the data register
        0xBE, 0x85, 0x00, 0x20, 0x00,   //        mov esi, prompt
        0xE8, 0x25, 0x00, 0x00, 0x00,   //        call print
        0xB2, 0xFD,                     // next:  mov dl, 0xFD       line status
        0xEC,                           // wait:  in al, dx
        0xA8, 0x01,                     //        test al, 1         data ready
        0x74, 0xFB,                     //        jz wait
        0xB2, 0xF8,                     //        mov dl, 0xF8
        0xEC,                           //        in al, dx
        0xEE,                           //        out dx, al
        0x3C, 0x0A,                     //        cmp al, 10
        0x75, 0xF1,                     //        jne next
        0xBE, 0x7D, 0x00, 0x20, 0x00,   //        mov esi, answer
        0xE8, 0x0C, 0x00, 0x00, 0x00,   //        call print
        0xBE, 0x85, 0x00, 0x20, 0x00,   //        mov esi, prompt
        0xE8, 0x02, 0x00, 0x00, 0x00,   //        call print
        0xEB, 0xDB,                     //        jmp next
        0xAC,                           // print: lodsb
        0x84, 0xC0,                     //        test al, al
        0x74, 0x03,                     //        jz done
        0xEE,                           //        out dx, al
        0xEB, 0xF8,                     //        jmp print
        0xC3,                           // done:  ret
    ];

    /// <summary>The image, to be written to a file.</summary>
    internal static byte[] Image
    {
        get
        {
            var image = KernelImages.MultibootFlat();
            byte[] guest = [.. Code, .. "Lamina\n\0# \0"u8];
            guest.CopyTo(image, 0x40);
            return image;
        }
    }
}
