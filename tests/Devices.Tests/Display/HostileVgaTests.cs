// A guest that writes anything anywhere: nothing throws, what is asked of the screen is of a bounded size, and a state that is saved in
// the middle of it is taken up by another adapter.
using Lamina.Core.Display;
using Lamina.Core.State;
using Lamina.Devices.Pci;
using Xunit;

namespace Lamina.Tests.Devices.Display;

public sealed class HostileVgaTests
{
    private const int Accesses = 250_000;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Random_accesses_are_survived_and_a_picture_is_there_at_any_moment(int seed)
    {
        var random = new Random(seed);
        using var machine = new VgaTestMachine();
        using var watch = machine.Display.Watch();
        var data = new byte[8];
        for (var i = 0; i < Accesses; i++)
        {
            random.NextBytes(data);
            if (random.Next(4) == 0) data.AsSpan(1).Clear();
            var some = data.AsSpan(0, 1 << random.Next(random.Next(4) == 0 ? 4 : 3));
            switch (random.Next(9))
            {
                case 0 or 1:
                    machine.Machine.Ports.Write(0x3b0 + (ulong)random.Next(0x32), some[..Math.Min(some.Length, 4)]);
                    break;
                case 2:
                    machine.SetExtension(random.Next(12), random.Next(3) == 0 ? BitConverter.ToUInt16(data) : random.Next(2000));
                    break;
                case 3:
                    machine.Machine.Ports.Write(0x1cd + (ulong)random.Next(6), some[..Math.Min(some.Length, 4)]);
                    machine.Machine.Ports.Read(0x1cd + (ulong)random.Next(6), some[..Math.Min(some.Length, 4)]);
                    break;
                case 4:
                    machine.Machine.Memory.Write(0xa_0000 + (ulong)random.Next(0x2_0000), some);
                    machine.Machine.Memory.Read(0xa_0000 + (ulong)random.Next(0x2_0000), some);
                    break;
                case 5:
                    machine.Machine.Memory.Write(VgaTestMachine.Registers + (ulong)random.Next(0x1000), some);
                    machine.Machine.Memory.Read(VgaTestMachine.Registers + (ulong)random.Next(0x1000), some);
                    break;
                case 6:
                    machine.Memory.TryWrite(VgaTestMachine.VideoMemory + (ulong)random.Next(16 << 20), some);
                    break;
                case 7:
                    machine.Machine.Ports.Read(0x3b0 + (ulong)random.Next(0x32), some[..Math.Min(some.Length, 4)]);
                    break;
                default:
                    // Mostly shown, so that there is something to draw.
                    machine.Show();
                    break;
            }
            if (i % 5000 == 4999) Look(machine, watch);
            if (i % 50_000 == 49_999) Carry(machine, random);
        }
    }

    private static void Look(VgaTestMachine machine, IScreenWatch watch)
    {
        var picture = machine.Display.Look();
        Assert.InRange(picture.Width, 1, ScreenPicture.MostWidth);
        Assert.InRange(picture.Height, 1, ScreenPicture.MostHeight);
        Assert.Equal(picture.Width * picture.Height, picture.Pixels.Length);
        if (machine.Display.Read() is { } text) Assert.InRange(text.ToString().Length, 0, text.Rows * (text.Columns + 1));
        Assert.NotEmpty(machine.Display.Mode);
        _ = watch.HasChanged();
    }

    private static void Carry(VgaTestMachine machine, Random random)
    {
        var saved = SavedFields.Write(1, machine.Display.Save);
        using var other = new VgaTestMachine(answers: false);
        SavedFields.Read(saved, 1, other.Display.Load);
        Assert.Equal(machine.Display.Look().Pixels, other.Display.Look().Pixels);
        Assert.Equal(saved, SavedFields.Write(1, other.Display.Save));
        var command = (uint)random.Next(4);
        machine.Machine.Write(VgaTestMachine.Device, PciSpec.Command, command, 2);
        machine.Machine.Write(VgaTestMachine.Device, 0x10, (uint)random.Next());
        machine.Machine.Write(VgaTestMachine.Device, 0x10, VgaTestMachine.VideoMemory);
        machine.Machine.Write(VgaTestMachine.Device, PciSpec.Command, 3, 2);
    }
}
