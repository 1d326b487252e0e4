// What the monitor says of itself, in 128 bytes: a made-up one that takes every size, and likes 1280 x 800 best. VESA Enhanced Extended
// Display Identification Data Standard, release A, revision 2 (EDID 1.4); as far as firmware and kernels read it.
using System.Buffers.Binary;
using System.Text;

namespace Lamina.Devices.Display;

/// <summary>The monitor.</summary>
internal static class Edid
{
    private const int Length = 128, DescriptorLength = 18, FirstDescriptor = 54, StandardTimings = 38;

    /// <summary>Its block.</summary>
    internal static byte[] Create()
    {
        var block = new byte[Length];
        ReadOnlySpan<byte> header = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
        header.CopyTo(block);
        // Three letters of five bits: LAM.
        BinaryPrimitives.WriteUInt16BigEndian(block.AsSpan(8), ('L' - '@') << 10 | ('A' - '@') << 5 | ('M' - '@'));
        block[10] = 1;
        // Week 1 of 2026; EDID 1.4.
        (block[16], block[17], block[18], block[19]) = (1, 2026 - 1990, 1, 4);
        // Digital, 8 bits a colour; 34 cm by 21 cm; gamma 2.2; RGB, sRGB, the first timing is the native one.
        (block[20], block[21], block[22], block[23], block[24]) = (0xa0, 34, 21, 120, 0x06);
        ReadOnlySpan<byte> sRgb = [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54];
        sRgb.CopyTo(block.AsSpan(25));
        // 640 x 480, 800 x 600 and 1024 x 768, at 60 Hz.
        (block[35], block[36]) = (0x21, 0x08);
        block.AsSpan(StandardTimings, 16).Fill(1);
        ReadOnlySpan<(int Width, byte Ratio)> standard = [(1280, 0x80), (1600, 0x40), (1920, 0xc0), (1440, 0x00), (1680, 0x00), (1920, 0x00)];
        for (var i = 0; i < standard.Length; i++) (block[StandardTimings + (2 * i)], block[StandardTimings + (2 * i) + 1]) = ((byte)((standard[i].Width / 8) - 31), standard[i].Ratio);
        // 1280 x 800 at 60 Hz: 83.5 MHz, 1680 by 831 dots with what is dark.
        ReadOnlySpan<byte> timing = [0x9e, 0x20, 0x00, 0x90, 0x51, 0x20, 0x1f, 0x30, 0x48, 0x80, 0x36, 0x00, 0x54, 0xd2, 0x10, 0x00, 0x00, 0x18];
        timing.CopyTo(block.AsSpan(FirstDescriptor));
        // The monitor's range: 50 to 125 Hz, 30 to 160 kHz, up to 300 MHz.
        ReadOnlySpan<byte> range = [0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 30, 1, 0x0a, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20];
        range.CopyTo(block.AsSpan(FirstDescriptor + DescriptorLength));
        Text(block.AsSpan(FirstDescriptor + (2 * DescriptorLength)), 0xfc, "Lamina");
        Text(block.AsSpan(FirstDescriptor + (3 * DescriptorLength)), 0xff, "1");
        block[Length - 1] = (byte)-block.AsSpan(0, Length - 1).ToArray().Sum(part => part);
        return block;
    }

    private static void Text(Span<byte> descriptor, byte kind, string text)
    {
        descriptor.Clear();
        descriptor[3] = kind;
        descriptor[5..].Fill((byte)' ');
        var length = Encoding.ASCII.GetBytes(text, descriptor[5..]);
        descriptor[5 + length] = (byte)'\n';
    }
}
