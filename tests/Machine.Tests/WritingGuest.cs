// A guest that writes to each of its pages, over and over, and looks before each write that the page holds what the last one left there: one page that
// is lost, stale or zero, and it prints "wrong" and stands still. Else it answers at the serial port as EchoGuest does. A flat Multiboot image.
using System.Buffers.Binary;
using Lamina.Tests.Machines.Boot;

namespace Lamina.Tests.Machines;

internal static class WritingGuest
{
    /// <summary>The first page that it writes to.</summary>
    internal const int Start = 0x400000;

    private const int EndAt = 0x35;

    // 32-bit code at 0x200040, behind the Multiboot header. The stack is the loader's.
    private static readonly byte[] Code =
    [
        0xBA, 0xF8, 0x03, 0x00, 0x00,        //        mov edx, 0x3F8
        0xBE, 0xC7, 0x00, 0x20, 0x00,        //        mov esi, prompt
        0xE8, 0x67, 0x00, 0x00, 0x00,        //        call print
        0x31, 0xDB,                          //        xor ebx, ebx         the pass
        0xBF, 0x00, 0x00, 0x40, 0x00,        // pass:  mov edi, 0x400000
        0x39, 0x1F,                          // page:  cmp [edi], ebx
        0x75, 0x4A,                          //        jne bad
        0x39, 0x9F, 0xF8, 0x0F, 0x00, 0x00,  //        cmp [edi+0xff8], ebx
        0x75, 0x42,                          //        jne bad
        0x8D, 0x43, 0x01,                    //        lea eax, [ebx+1]
        0x89, 0x07,                          //        mov [edi], eax
        0x89, 0x87, 0xF8, 0x0F, 0x00, 0x00,  //        mov [edi+0xff8], eax
        0x81, 0xC7, 0x00, 0x10, 0x00, 0x00,  //        add edi, 4096
        0x81, 0xFF, 0x00, 0x00, 0x00, 0x00,  //        cmp edi, end
        0x72, 0xDB,                          //        jb page
        0x43,                                //        inc ebx
        0xBA, 0xFD, 0x03, 0x00, 0x00,        // poll:  mov edx, 0x3FD     line status
        0xEC,                                //        in al, dx
        0xA8, 0x01,                          //        test al, 1           data ready
        0x74, 0xCB,                          //        jz pass
        0xB2, 0xF8,                          //        mov dl, 0xF8
        0xEC,                                //        in al, dx
        0xEE,                                //        out dx, al
        0x3C, 0x0A,                          //        cmp al, 10
        0x75, 0xEE,                          //        jne poll
        0xBE, 0xBF, 0x00, 0x20, 0x00,        //        mov esi, answer
        0xE8, 0x1E, 0x00, 0x00, 0x00,        //        call print
        0xBE, 0xC7, 0x00, 0x20, 0x00,        //        mov esi, prompt
        0xE8, 0x14, 0x00, 0x00, 0x00,        //        call print
        0xEB, 0xAD,                          //        jmp pass
        0xBA, 0xF8, 0x03, 0x00, 0x00,        // bad:   mov edx, 0x3F8
        0xBE, 0xCA, 0x00, 0x20, 0x00,        //        mov esi, wrong
        0xE8, 0x03, 0x00, 0x00, 0x00,        //        call print
        0xF4,                                // hang:  hlt
        0xEB, 0xFD,                          //        jmp hang
        0xAC,                                // print: lodsb
        0x84, 0xC0,                          //        test al, al
        0x74, 0x03,                          //        jz done
        0xEE,                                //        out dx, al
        0xEB, 0xF8,                          //        jmp print
        0xC3,                                // done:  ret
    ];

    /// <summary>The image, to be written to a file.</summary>
    /// <param name="pages">How many pages it writes to.</param>
    internal static byte[] Image(int pages)
    {
        var image = KernelImages.MultibootFlat();
        byte[] guest = [.. Code, .. "Lamina\n\0# \0wrong\n\0"u8];
        BinaryPrimitives.WriteInt32LittleEndian(guest.AsSpan(EndAt), Start + pages * 4096);
        guest.CopyTo(image, 0x40);
        return image;
    }
}
