using System.Buffers.Binary;

namespace Lamina.Tests.Cli.Support;

/// <summary>Guests of a few instructions, as Multiboot 1 images whose addresses stand in the header. Multiboot 0.6.96, 3.1.</summary>
internal static class Guest
{
    private const uint Base = 0x10_0000, Magic = 0x1BAD_B002, AddressesInHeader = 1 << 16;
    private const int HeaderLength = 32;

    /// <summary>Prints "up" on the first serial port and halts with interrupts off.</summary>
    public static byte[] Halts => Image([.. Print("up\n"), 0xf4, 0xeb, 0xfd]);

    /// <summary>Prints "up" and runs in circles.</summary>
    public static byte[] Loops => Image([.. Print("up\n"), 0xeb, 0xfe]);

    /// <summary>Listens to the power button, prints "up", and powers off when it is pressed. ACPI 6.5, 4.8.3: PM1 event block at 600h, control at 604h.</summary>
    public static byte[] PowersOffWhenAsked => Image(
    [
        .. ListensToPowerButton,
        .. Print("up\n"),
        0x66, 0xba, 0x01, 0x06, 0xec, 0xa8, 0x01, 0x74, 0xfb,             // mov dx, 0x601; wait: in al, dx; test al, 1; jz wait
        0x66, 0xba, 0x05, 0x06, 0xb0, 0x34, 0xee, 0xf4, 0xeb, 0xfd,       // mov dx, 0x605; mov al, S5 | SLP_EN; out dx, al; halt
    ]);

    /// <summary>Listens to the power button and prints "up"; lets it pass the first time, and powers off when it is pressed again.</summary>
    public static byte[] PowersOffWhenAskedAgain => Image(
    [
        .. ListensToPowerButton,
        .. Print("up\n"),
        0x66, 0xba, 0x01, 0x06, 0xec, 0xa8, 0x01, 0x74, 0xfb,             // mov dx, 0x601; wait: in al, dx; test al, PWRBTN_STS; jz wait
        0xee, 0xec, 0xa8, 0x01, 0x74, 0xfb,                               // out dx, al; again: in al, dx; test al, PWRBTN_STS; jz again
        0x66, 0xba, 0x05, 0x06, 0xb0, 0x34, 0xee, 0xf4, 0xeb, 0xfd,       // mov dx, 0x605; mov al, S5 | SLP_EN; out dx, al; halt
    ]);

    /// <summary>Listens to the power button, prints "up", and halts: it does not come to powering off, however often it is asked.</summary>
    public static byte[] NeverComesToPoweringOff => Image([.. ListensToPowerButton, .. Print("up\n"), 0xf4, 0xeb, 0xfd]);

    // mov dx, 0x603; mov al, PWRBTN_EN; out dx, al
    private static byte[] ListensToPowerButton => [0x66, 0xba, 0x03, 0x06, 0xb0, 0x01, 0xee];

    /// <summary>Prints without end, as fast as the first serial port says that it takes it.</summary>
    public static byte[] Prints => Image(
    [
        0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xfb,             // mov dx, 0x3fd; wait: in al, dx; test al, 0x20; jz wait
        0x66, 0xba, 0xf8, 0x03, 0xb0, (byte)'x', 0xee, 0xeb, 0xee,        // mov dx, 0x3f8; mov al, 'x'; out dx, al; jmp start
    ]);

    /// <summary>Prints "up" on the first serial port, then all that it gets there.</summary>
    public static byte[] Echoes => Image(
    [
        .. Print("up\n"),
        0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf7,             // wait: mov dx, 0x3fd; in al, dx; test al, 1; jz wait
        0x66, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xef,                   // mov dx, 0x3f8; in al, dx; out dx, al; jmp wait
    ]);

    /// <summary>Puts the display of the machine pc into its text mode of 80 by 25, shows "hello" with an escape character behind it, prints "up", and halts.</summary>
    public static byte[] ShowsText
    {
        get
        {
            List<byte> code = [];
            SetTextMode(code);
            var at = 0xb_8000u;
            // mov word [at], attribute and character
            foreach (var character in "hello\u001b") code.AddRange([0x66, 0xc7, 0x05, .. BitConverter.GetBytes(at += 2), (byte)character, 0x07]);
            return Image([.. code, .. Print("up\n"), 0xf4, 0xeb, 0xfd]);
        }
    }

    /// <summary>Puts the display of the machine pc into its text mode, turns the keyboard on, prints "up", and shows each key's scan code as a character at the left top.</summary>
    public static byte[] ShowsKeys
    {
        get
        {
            List<byte> code = [];
            SetTextMode(code);
            // The keyboard's port on, its codes translated, and the keyboard told to scan.
            foreach (var (port, value) in ((ushort, byte)[])[(0x64, 0xae), (0x64, 0x60), (0x60, 0x40), (0x60, 0xf4)]) Out(code, port, value, 1);
            return Image(
            [
                .. code, .. Print("up\n"),
                0xe4, 0x64, 0xa8, 0x01, 0x74, 0xfa, // wait for a byte
                0xe4, 0x60, 0xa8, 0x80, 0x75, 0xf4, // that is no key's release, nor an answer
                0xb4, 0x07, 0x66, 0xa3, 0x00, 0x80, 0x0b, 0x00, 0xeb, 0xea, // mov word [0xb8000], ax
            ]);
        }
    }

    private static void SetTextMode(List<byte> code)
    {
        Out(code, 0x3c2, 0x67, 1);
        foreach (var (port, index, value) in ((ushort, byte, byte)[])[(0x3c4, 2, 3), (0x3c4, 4, 2), (0x3ce, 5, 0x10), (0x3ce, 6, 0x0e), (0x3ce, 8, 0xff), (0x3d4, 1, 0x4f), (0x3d4, 7, 2), (0x3d4, 9, 0x0f), (0x3d4, 0x12, 0x8f), (0x3d4, 0x13, 0x28), (0x3d4, 0xa, 0x20)])
            Out(code, port, (ushort)(value << 8 | index), 2);
        Out(code, 0x3c0, 0x20, 1);
    }

    /// <summary>Writes a value to a port below 256, then halts.</summary>
    public static byte[] Writes(byte port, byte value) => Image([0xb0, value, 0xe6, port, 0xf4, 0xeb, 0xfd]);

    /// <summary>Turns SSE on and executes PSHUFB with an operand where there is no memory.</summary>
    public static byte[] ReadsDeviceAsVector => Image(
    [
        0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x06, 0x00, 0x00, 0x0f, 0x22, 0xe0, // mov eax, cr4; or eax, 0x600; mov cr4, eax
        0xb8, 0x00, 0x00, 0xd0, 0xfe, 0x66, 0x0f, 0x38, 0x00, 0x00,       // mov eax, 0xfed00000; pshufb xmm0, [eax]
    ]);

    /// <summary>Loads an empty interrupt descriptor table and executes an invalid instruction.</summary>
    public static byte[] TripleFaults
    {
        get
        {
            byte[] code = [0x0f, 0x01, 0x1d, 0, 0, 0, 0, 0x0f, 0x0b, 0, 0, 0, 0, 0, 0];
            BinaryPrimitives.WriteUInt32LittleEndian(code.AsSpan(3), Base + HeaderLength + 9);
            return Image(code);
        }
    }

    /// <summary>Writes a file and gives its path.</summary>
    public static string In(TemporaryFolder folder, byte[] image)
    {
        var path = folder.File("guest");
        File.WriteAllBytes(path, image);
        return path;
    }

    // mov dx, port; mov ax, value; out dx, al or ax
    private static void Out(List<byte> code, ushort port, ushort value, int length)
    {
        code.AddRange([0x66, 0xba, .. BitConverter.GetBytes(port), 0x66, 0xb8, .. BitConverter.GetBytes(value)]);
        code.AddRange(length == 1 ? [0xee] : [0x66, 0xef]);
    }

    private static byte[] Print(string text)
    {
        List<byte> code = [0x66, 0xba, 0xf8, 0x03]; // mov dx, 0x3f8
        foreach (var character in text) code.AddRange([0xb0, (byte)character, 0xee]); // mov al, character; out dx, al
        return [.. code];
    }

    private static byte[] Image(byte[] code)
    {
        uint[] header = [Magic, AddressesInHeader, unchecked(0u - (Magic + AddressesInHeader)), Base, Base, 0, 0, Base + HeaderLength];
        var image = new byte[HeaderLength + code.Length];
        for (var i = 0; i < header.Length; i++) BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(i * 4), header[i]);
        code.CopyTo(image, HeaderLength);
        return image;
    }
}
