// Opens what a console of a machine is connected to.
using Lamina.Core.Char;
using Lamina.Life;

namespace Lamina;

/// <summary>Opens serial targets.</summary>
internal static class Consoles
{
    /// <summary>The channel for a target, and the program's end of it where the target is memory.</summary>
    /// <exception cref="MachineException">The host refuses it.</exception>
    internal static (ICharBackend Backend, SerialConsole? Memory) Open(SerialTarget target, UnitStack units)
    {
        switch (target)
        {
            case SerialTarget.Memory memory:
                var console = new SerialConsole(memory.Capacity);
                return (units.Push(console.Backend), console);
            case SerialTarget.Backend backend:
                return (units.Push(backend.Channel), null);
            default:
                throw new MachineException("wip");
        }
    }
}
