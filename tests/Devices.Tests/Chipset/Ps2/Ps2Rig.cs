// A keyboard controller with its devices, and a guest's driver of it that reads what the interrupts bring.
using Lamina.Devices.Chipset.Ps2;

namespace Lamina.Tests.Devices.Chipset.Ps2;

internal sealed class Ps2Rig
{
    internal const long ByteTime = 1_000_000;

    internal Ps2Rig()
    {
        Controller = new I8042(new Ps2Wires(Clock, KeyboardLine, MouseLine), () => Resets++);
    }

    internal ManualClock Clock { get; } = new();

    internal RecordingLine KeyboardLine { get; } = new();

    internal RecordingLine MouseLine { get; } = new();

    internal I8042 Controller { get; }

    internal int Resets { get; private set; }

    internal int Status => Controller.Command.In(0);

    /// <summary>As a system's drivers leave it: both enabled, interrupts on, codes translated or not.</summary>
    internal Ps2Rig Started(bool translated = true)
    {
        Command(0x60);
        Data(translated ? 0x47 : 0x07);
        Mouse(0xf4);
        _ = Read();
        return this;
    }

    internal void Command(int value) => Controller.Command.Out(0, value);

    internal void Data(int value) => Controller.Data.Out(0, value);

    internal void Mouse(int value)
    {
        Command(0xd4);
        Data(value);
    }

    /// <summary>All that comes, each byte when its interrupt does; those of the mouse have bit 8.</summary>
    internal int[] Read(int most = 1000)
    {
        var bytes = new List<int>();
        while (bytes.Count < most)
        {
            if ((Status & 1) == 0)
            {
                Clock.Advance(ByteTime);
                if ((Status & 1) == 0) break;
            }
            var mouse = (Status & 0x20) != 0;
            bytes.Add(Controller.Data.In(0) | (mouse ? 0x100 : 0));
        }
        return [.. bytes];
    }
}
